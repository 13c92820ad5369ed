//! The filter of the messages of a server.

use pgasync_pg::{MessageFilter, RowLimit, Violation};

use super::fuzz;

const DICTIONARY: &[&str] = &[
    "R\0\0\0\x08\0\0\0\0",
    "S\0\0\0\x08a\0b\0",
    "K\0\0\0\x0c12345678",
    "Z\0\0\0\x05I",
    "T\0\0\0\x06\0\0",
    "D\0\0\0\x04",
    "D\0\0\0\x06\0\0",
    "D\0\0\0\x1e\0\x01\0\0\0\x1401234567890123456789",
    "D\0\x01\0\0",
    "D\x7f",
    "d\0\0\0\x08copy",
    "c\0\0\0\x04",
    "C\0\0\0\x0dSELECT 1\0",
    "E\0\0\0\x05\0",
    "E\0\x01\0\0",
    "E\0\x10\0\x01",
    "N\0\0\0\x05\0",
    "N\0\x10\0\x01",
    "A\0\0\0\x0a1234\0\0",
    "H\0\0\0\x07\0\0\0",
    "\0\0\0\x03",
    "\0\0\0\0",
    "\0",
    "\x7f",
];

fn limit(choice: u8) -> RowLimit {
    match choice % 6 {
        0 => RowLimit::All,
        1 => RowLimit::First(0),
        2 => RowLimit::First(30),
        3 => RowLimit::First(1_000),
        4 => RowLimit::AtMost(30),
        _ => RowLimit::AtMost(1_000),
    }
}

/// The output for an input that is cut into pieces of these lengths, again and again.
fn filtered(stream: &[u8], rows: RowLimit, lengths: &[usize]) -> (Vec<u8>, Option<Violation>, bool) {
    let (mut filter, mut passed, mut rest) = (MessageFilter::new(false), Vec::new(), stream);
    for length in lengths.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*length));
        if let Err(violation) = filter.filter(piece, rows, |part| passed.extend_from_slice(part)) {
            return (passed, Some(violation), false);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    (passed, None, filter.is_between_messages())
}

/// The messages of a stream, each with its header. The last one may be cut.
fn messages(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((header, _)) = stream.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let (message, after) = stream.split_at(stream.len().min(1 + length as usize));
        found.push(message);
        stream = after;
    }
    found
}

/// The first byte is the limit on rows, the next two the lengths of the pieces.
fn check(input: &[u8]) -> impl std::hash::Hash + use<> {
    let Some(([limited, lengths @ ..], stream)) = input.split_first_chunk::<3>() else { return (vec![], None) };
    let rows = limit(*limited);
    let lengths = lengths.map(|length| usize::from(length) + 1);
    let (passed, violation, is_complete) = filtered(stream, rows, &[usize::MAX]);
    let outcome = (passed.clone(), violation, is_complete);
    assert!(outcome == filtered(stream, rows, &lengths), "the output depends on the cuts {lengths:?}");
    assert!(outcome == filtered(stream, rows, &[1]), "the output depends on the cuts");

    // Each message passes whole or not at all, and in order.
    let mut sent = messages(stream).into_iter();
    let mut tags = Vec::new();
    for message in messages(&passed) {
        assert!(sent.any(|other| other == message), "a message is not one of the stream, or not in order");
        tags.push(message[0]);
    }
    if is_complete {
        let count: usize = messages(&passed).iter().map(|message| message.len()).sum();
        assert_eq!(count, passed.len(), "a part of a message passed");
    }
    // After the startup, the settings of a session do not pass, and rows only within the limit.
    let queries = tags.iter().position(|tag| *tag == b'Z').map_or(tags.len(), |place| place + 1);
    assert!(!tags[queries..].contains(&b'S'));
    if rows == RowLimit::First(0) {
        assert!(!tags[queries..].iter().any(|tag| b"Dd".contains(tag)));
    }
    (
        tags.into_iter().take(12).collect(),
        violation.map(|violation| violation.to_string().replace(char::is_numeric, "")),
    )
}

#[test]
fn what_passes_does_not_depend_on_the_cuts() {
    fuzz("wire_filter", DICTIONARY, check);
}
