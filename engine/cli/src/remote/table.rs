//! Tables for people: columns as wide as their widest cell.

/// Lays rows out below a head; the last column is not padded.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut push = |cells: [&str; N]| {
        let line: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(line.join("  ").trim_end());
        out.push('\n');
    };
    push(head);
    for row in rows {
        push(std::array::from_fn(|column| row[column].as_str()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["a".to_owned(), "é".to_owned(), "x".to_owned()], ["long".to_owned(), "".into(), "".into()]];
        assert_eq!(table(["A", "B", "LAST"], &rows), "A     B  LAST\na     é  x\nlong\n");
    }
}
