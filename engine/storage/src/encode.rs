//! Output records as bytes of a part. Runs once for every record that a job writes, so that nothing
//! is allocated or looked up here. Must not buffer: that is the part writer's.

use mr_model::{BadCell, Compression, DataType, OutputFormat, StageTypes};

/// Turns records into the bytes of the output format.
#[derive(Debug, Clone)]
pub struct RecordEncoder {
    format: OutputFormat,
    key: DataType,
    value: DataType,
    /// Text has a tab between key and value: neither is a unit.
    tab: bool,
}

impl RecordEncoder {
    /// An encoder of one file of records of `types`; a type that is not declared is rendered as bytes. Columns have
    /// the names of `names`, where the format has them.
    ///
    /// # Errors
    /// A sentence: a format or a compression that is not written yet.
    pub fn new(
        format: OutputFormat,
        compression: Compression,
        types: &StageTypes,
        _names: Option<&[String]>,
    ) -> Result<Self, String> {
        if !matches!(format, OutputFormat::Text | OutputFormat::Raw) || compression != Compression::None {
            return Err(format!(
                "files of the format {format}, compression {compression}, cannot be written yet"
            ));
        }
        let key = types.key.clone().unwrap_or(DataType::Bytes);
        let value = types.value.clone().unwrap_or(DataType::Bytes);
        let tab = key != DataType::Unit && value != DataType::Unit;
        Ok(Self { format, key, value, tab })
    }

    /// Appends one record to `out`. On an error `out` is as it was.
    ///
    /// # Errors
    /// A key or value that is not of its declared type, in text output.
    #[inline]
    pub fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), BadCell> {
        match self.format {
            OutputFormat::Raw => {
                out.extend_from_slice(key);
                out.extend_from_slice(value);
                Ok(())
            }
            _ => {
                let from = out.len();
                let rendered = self.render(key, value, out);
                if rendered.is_err() {
                    out.truncate(from);
                }
                rendered
            }
        }
    }

    /// Appends the rest of the file. Nothing may be given afterwards.
    ///
    /// # Errors
    /// None in these formats.
    pub fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), BadCell> {
        Ok(())
    }

    #[inline]
    fn render(&self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), BadCell> {
        self.key.render(key, out)?;
        if self.tab {
            out.push(b'\t');
        }
        self.value.render(value, out)?;
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(format: OutputFormat, types: [Option<&str>; 2], key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let [key_type, value_type] = types.map(|name| name.map(|name| name.parse().unwrap()));
        let types = StageTypes { key: key_type, value: value_type };
        let mut encoder = RecordEncoder::new(format, Compression::None, &types, None).unwrap();
        let mut out = b"before ".to_vec();
        let result = encoder.encode(key, value, &mut out);
        if result.is_err() {
            assert_eq!(out, b"before ", "a refused record leaves nothing");
        }
        result.ok().map(|()| out.split_off(b"before ".len()))
    }

    #[test]
    fn text_is_rendered_by_type() {
        let text = |key_type, value_type, key: &[u8], value: &[u8]| {
            encoded(OutputFormat::Text, [key_type, value_type], key, value)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let five = 5u64.to_be_bytes();
        assert_eq!(text(None, None, b"k", b"v").unwrap(), "k\tv\n");
        assert_eq!(text(Some("text"), Some("u64"), b"word", &five).unwrap(), "word\t5\n");
        assert_eq!(text(Some("u64"), Some("unit"), &five, b"").unwrap(), "5\n");
        assert_eq!(text(Some("unit"), Some("bytes"), b"", b"line").unwrap(), "line\n");
        assert_eq!(text(Some("unit"), Some("unit"), b"", b"").unwrap(), "\n");
        assert_eq!(
            text(Some("tuple<text,u64>"), None, b"a\0\0\0\0\0\0\0\0\0\x05", b"v").unwrap(),
            "a\t5\tv\n"
        );
        assert_eq!(text(Some("text"), Some("u64"), b"word", b"5"), None);
        assert_eq!(text(Some("unit"), None, b"x", b""), None);
    }

    #[test]
    fn raw_is_key_then_value() {
        let types = [Some("u64"), Some("unit")];
        assert_eq!(encoded(OutputFormat::Raw, types, b"not", b"checked").unwrap(), b"notchecked");
    }
}
