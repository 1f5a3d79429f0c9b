//! The fuzz target's check, driven by random bytes on a stable compiler: a smoke test of what
//! `fuzz/fuzz_targets/schedule.rs` does for as long as it is let.

use proptest::prelude::*;

#[path = "../../fuzz/src/schedule.rs"]
mod schedule;

/// Pieces that expressions are made of, so that more than the first character is read.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "*",
        "/",
        "-",
        ",",
        "#",
        "?",
        "+",
        " ",
        " ",
        " ",
        " ",
        "L",
        "LW",
        "W",
        "H",
        "(",
        ")",
        "0",
        "1",
        "5",
        "7",
        "15",
        "23",
        "29",
        "31",
        "59",
        "61",
        "2000",
        "MON",
        "sun",
        "FRI",
        "FEB",
        "dec",
        "@every ",
        "@daily",
        "TZ=",
        "CRON_TZ=Europe/Paris ",
        "ms",
        "h",
        "\t",
        "é",
    ];
    prop_oneof![20 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("*".to_owned()), 2 => proptest::collection::vec(piece(), 1..5).prop_map(|pieces| pieces.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(data in proptest::collection::vec(any::<u8>(), 0..80)) {
        schedule::check(&data);
    }

    #[test]
    fn anything_like_an_expression_is_answered(
        head in any::<[u8; 5]>(),
        fields in proptest::collection::vec(field(), 1..9),
    ) {
        schedule::check(&[&head[..], fields.join(" ").as_bytes()].concat());
    }
}
