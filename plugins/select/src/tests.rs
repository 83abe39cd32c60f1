//! Lines in, lines out.

use guest_sdk::testing::Test;

use super::*;

const TEXT: &str = "a\t10\tx\nb\t9\tx y\nc\t-1.5\t\nd\tnone\ty\n";

fn select(conditions: &str, columns: &str) -> String {
    let test = Test::new().param("where", conditions).param("columns", columns);
    test.map::<Select>(TEXT).unwrap().text()
}

#[test]
fn lines_are_selected_by_conditions() {
    for (conditions, kept) in [
        ("2>9", "a\n"),
        ("2>=9", "a\nb\n"),
        ("2<9", "c\nd\n"),
        ("2 <= -1.5", "c\nd\n"),
        ("2=9.0", "b\n"),
        ("2!=9", "a\nc\nd\n"),
        ("2=none", "d\n"),
        ("1>b", "c\nd\n"),
        ("3~y", "b\nd\n"),
        ("3~", "a\nb\nc\nd\n"),
        ("3=", "c\n"),
        ("3~x and 2<10", "b\n"),
    ] {
        assert_eq!(select(conditions, "1"), kept, "{conditions}");
    }
}

#[test]
fn whole_numbers_are_compared_exactly_and_words_are_none() {
    let text = "9007199254740992\n9007199254740993\ninf\nnan\n1e3\n";
    for (conditions, kept) in [
        ("1=9007199254740993", "9007199254740993\n"),
        ("1>9007199254740992", "9007199254740993\n"),
        ("1=1000", "1e3\n"),
        ("1<0", "inf\nnan\n"),
        ("1=inf", "inf\n"),
    ] {
        let run = Test::new().param("where", conditions).map::<Select>(text).unwrap();
        assert_eq!(run.text(), kept, "{conditions}");
    }
}

#[test]
fn columns_come_in_any_order_and_number() {
    assert_eq!(select("1=a", "3,1,1"), "x\ta\ta\n");
    assert_eq!(Test::new().map::<Select>(TEXT).unwrap().text(), TEXT);
}

#[test]
fn what_is_not_there_is_rejected_or_refused() {
    let run = Test::new().param("columns", "2,4").map::<Select>("a\tb\tc\td\na\tb\n").unwrap();
    assert_eq!((run.text(), run.rejects.len()), ("b\td\n".into(), 1));
    assert!(run.rejects[0].1.starts_with("there is no column 4"), "{:?}", run.rejects);
    for (name, value, sentence) in [
        ("columns", "0", "\"0\" is no column: they count from 1"),
        ("where", "2", "\"2\" is no condition: use COLUMN OP VALUE, as in 3>=1000"),
        ("where", "x=1", "\"x=1\" is no condition: use COLUMN OP VALUE, as in 3>=1000"),
    ] {
        let error = Test::new().param(name, value).map::<Select>(TEXT).unwrap_err();
        assert_eq!(error.message(), sentence);
    }
}
