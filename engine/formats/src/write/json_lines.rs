//! Records as a JSON object in each line. Numbers are numbers with all their digits, bytes are base64, what
//! is missing is null.

use mr_model::{DataType, StageTypes};

use super::columns::{Cell, Columns, Kind, Row};
use super::error::EncodeError;
use super::render;

/// Writes JSON lines.
#[derive(Debug, Clone)]
pub(crate) struct JsonLinesWriter {
    columns: Columns,
    /// What is ahead of each column's value: brace or comma, name, colon.
    fronts: Vec<Vec<u8>>,
    row: Row,
}

impl JsonLinesWriter {
    pub fn new(types: &StageTypes, names: Option<&[String]>) -> Result<Self, String> {
        let columns = Columns::new(types, names, &DataType::Text, Some("JSON"))?;
        let mut fronts = Vec::new();
        for (i, column) in columns.all.iter().enumerate() {
            let mut front = vec![if i == 0 { b'{' } else { b',' }];
            render::json_string(column.name.as_bytes(), &mut front);
            front.push(b':');
            fronts.push(front);
        }
        Ok(Self { columns, fronts, row: Row::default() })
    }

    #[inline]
    pub fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.columns.read(key, value, &mut self.row)?;
        if self.fronts.is_empty() {
            out.push(b'{');
        }
        for (i, (column, front)) in self.columns.all.iter().zip(&self.fronts).enumerate() {
            out.extend_from_slice(front);
            match self.row.cell(i, key, value) {
                Cell::Null => out.extend_from_slice(b"null"),
                Cell::U64(number) => render::unsigned(number, out),
                Cell::S64(number) => render::signed(number, out),
                Cell::F64(number) => render::json_float(number, out),
                Cell::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
                Cell::Bytes(text) if column.kind == Kind::Text => render::json_string(text, out),
                Cell::Bytes(bytes) => {
                    out.push(b'"');
                    render::base64(bytes, out);
                    out.push(b'"');
                }
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}
