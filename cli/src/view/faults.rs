//! What is wrong with a cron expression, under the place where it is wrong.

use unicode_width::UnicodeWidthStr;

/// The expression, and under it a line for each fault, with a caret if it has a column.
pub(crate) fn faults(expression: &str, faults: &[String]) -> String {
    // One column each, so that the carets are where they should be.
    let shown: String = expression.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let mut text = format!("  {shown}\n");
    for fault in faults {
        let caret = match column(fault) {
            Some(column) => {
                let before: String = shown.chars().take(column.saturating_sub(1)).collect();
                format!("{}^ ", " ".repeat(before.width()))
            }
            None => String::new(),
        };
        text.push_str(&format!("  {caret}{fault}\n"));
    }
    text
}

/// The core says `minute, column 1: 61 is …` or `column 1: …`.
fn column(fault: &str) -> Option<usize> {
    let (place, _) = fault.split_once(": ")?;
    let place = place.rsplit(", ").next()?;
    place.strip_prefix("column ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &str, fault: &str) -> Vec<String> {
        faults(expression, &[fault.to_owned()]).lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        assert_eq!(shown("0 25 * * *", "hour, column 3: x"), ["  0 25 * * *", "    ^ hour, column 3: x"]);
        assert_eq!(shown("日\t25", "column 3: x"), ["  日 25", "     ^ column 3: x"]);
    }

    #[test]
    fn a_fault_of_the_whole_has_no_caret() {
        assert_eq!(shown("0 0 30 2 *", "it never fires: x")[1], "  it never fires: x");
    }
}
