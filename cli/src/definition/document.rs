//! The documents of a file. YAML's parser reads JSON too, tabs and surrogate pairs included, so that there is
//! one set of rules: a duplicate key, an infinite number and a half-open bracket are refused with their line.

use serde_json::Value;
use serde_saphyr::UserMessageFormatter;

pub(super) fn parse(text: &str) -> Result<Vec<Value>, String> {
    // The file is the user's own, and may hold a hundred thousand jobs: what grows with it is not bounded, aliases are.
    let size = text.len() + 16;
    let budget = serde_saphyr::budget! {
        max_events: 2 * size,
        max_nodes: size,
        max_documents: size,
        max_total_scalar_bytes: size,
    };
    // Only `true` and `false` are booleans: the country code NO is not.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false, budget: budget };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| error.render_with_formatter(&UserMessageFormatter).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_json() {
        let text = "{\n\t\"a\": \"\\ud83d\\ude00\\/\",\n\t\"n\": [-3e5, 12345678901, null, true]\n}";
        assert_eq!(parse(text).unwrap(), [json!({"a": "😀/", "n": [-3e5, 12_345_678_901_i64, null, true]})]);
    }

    #[test]
    fn words_stay_words() {
        assert_eq!(parse("a: no\nb: on\nc: 90s").unwrap(), [json!({"a": "no", "b": "on", "c": "90s"})]);
    }

    #[test]
    fn a_large_file_is_read_and_a_small_one_that_grows_is_not() {
        let job = "{jobId: a, task: {type: noop}}, ";
        let jobs = parse(&format!("[{}]", job.repeat(60_000))).unwrap();
        assert_eq!(jobs[0].as_array().map(Vec::len), Some(60_000));
        let laughs = (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
        let laughs = format!("a0: &a0 [ha, ha, ha]\n{}", laughs.collect::<String>());
        assert!(parse(&laughs).is_err());
    }

    #[test]
    fn a_fault_has_its_line() {
        assert!(parse("a: 1\nb: [1").unwrap_err().contains("line 2"));
    }
}
