//! Text and bytes of strangers, made fit to be shown: what plugins and inputs hold must neither drive a
//! terminal nor pass for words of the engine. Must not decide how much of it is kept.

/// What stands where something was that must not be shown.
const REPLACED: char = char::REPLACEMENT_CHARACTER;

/// True for characters that do something to a terminal rather than being seen on it: control
/// characters, line and paragraph separators, and those that change the direction of text, with which
/// words can be made to look like others.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of at most `bytes_max` bytes of which everything can be shown. Tabs stay, and so do line feeds:
/// whoever prints it indents what follows them.
pub fn printable(text: &str, bytes_max: usize) -> String {
    let text = &text[..text.floor_char_boundary(bytes_max)];
    let shown = |c: char| if is_unprintable(c) && c != '\n' && c != '\t' { REPLACED } else { c };
    text.chars().map(shown).collect()
}

/// The first `bytes_max` bytes of `bytes` as ASCII; an ellipsis tells that there are more.
pub fn escaped(bytes: &[u8], bytes_max: usize) -> String {
    let shown = &bytes[..bytes.len().min(bytes_max)];
    let more = if bytes.len() > bytes_max { "..." } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_a_terminal() {
        assert_eq!(
            printable("a\u{1b}[2J\r\u{202e}b\tc\nd\u{7f}", 100),
            "a\u{fffd}[2J\u{fffd}\u{fffd}b\tc\nd\u{fffd}"
        );
        assert_eq!(printable("üü", 3), "ü");
        assert_eq!(escaped(b"a\x1b\"\xff", 3), "a\\x1b\\\"...");
        assert_eq!(escaped(b"abc", 3), "abc");
    }
}
