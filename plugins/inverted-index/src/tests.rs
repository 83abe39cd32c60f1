//! Files in, index out.

use guest_sdk::testing::Test;

use super::*;

#[test]
fn words_are_found_in_their_files() {
    let files = [("b.txt", "to be\nor not\n"), ("a.txt", "to to\n"), ("b.txt", "be\n")];
    let run = Test::new().job_files::<Postings, Join>(&files).unwrap();
    assert_eq!(run.text(), "be\tb.txt:2\nnot\tb.txt:1\nor\tb.txt:1\nto\ta.txt:2,b.txt:1\n");
}
