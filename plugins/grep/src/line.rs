//! Regular expressions that know no newline: they match within a line whatever they are searched
//! in. Like `grep`, and like `ripgrep`, from which the way to do it is taken: the newline is taken
//! out of everything that the parsed pattern could match, and text bounds become line bounds.

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::syntax;
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange};
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

/// Why a pattern cannot be used.
pub type Error = Box<dyn std::error::Error>;

/// Memory of a compiled pattern, in bytes: ten times what any sensible one needs.
const PATTERN_BYTES_MAX: usize = 10 << 20;

/// Compiles a pattern.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, Error> {
    let syntax = syntax::Config::new().multi_line(true).utf8(false).case_insensitive(ignore_case);
    let hir = within_line(syntax::parse_with(pattern, &syntax)?);
    let config = Config::new().utf8_empty(false).nfa_size_limit(Some(PATTERN_BYTES_MAX));
    Regex::builder().configure(config).build_from_hir(&hir).map_err(|error| explain(&error))
}

fn explain(error: &BuildError) -> Error {
    if error.size_limit().is_some() {
        return format!("it is too big: more than {PATTERN_BYTES_MAX} bytes when compiled").into();
    }
    error.to_string().into()
}

/// The pattern without newlines, and with line bounds in place of text bounds.
fn within_line(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        // A line has no newline: what asks for one never matches.
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End) => Hir::look(Look::EndLF),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(within_line(*repetition.sub));
            Hir::repetition(Repetition { sub, ..repetition })
        }
        // Nobody asks for the groups.
        HirKind::Capture(Capture { sub, .. }) => within_line(*sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(within_line).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(within_line).collect()),
    }
}
