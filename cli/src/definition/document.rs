//! The documents of a file. YAML's parser reads JSON too, tabs and surrogate pairs included, so that there is
//! one set of rules: a duplicate key, an infinite number and a half-open bracket are refused with their line.

use serde_json::Value;
use serde_saphyr::UserMessageFormatter;

pub(super) fn parse(text: &str) -> Result<Vec<Value>, String> {
    // Only `true` and `false` are booleans: the country code NO is not.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
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
    fn a_fault_has_its_line() {
        assert!(parse("a: 1\nb: [1").unwrap_err().contains("line 2"));
    }
}
