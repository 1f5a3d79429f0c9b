//! The form of references, as `job-spec` checks it when a job is written.

/// Where a secret is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source<'t> {
    Variable(&'t str),
    /// Relative to the agent's folder of secrets, and never up.
    File(&'t str),
}

/// A part of a string.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Text(&'t str),
    Secret { source: Source<'t>, written: &'t str },
}

type Reading = for<'t> fn(&'t str) -> Option<Source<'t>>;
const OPENINGS: [(&str, Reading); 2] = [("${env:", variable), ("${file:", file)];

/// The parts of `text`, in order. `$${env:` stands for `${env:` itself.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, String>> {
    let mut rest = text;
    let mut secret = None;
    std::iter::from_fn(move || {
        if let Some(part) = secret.take() {
            return Some(part);
        }
        if rest.is_empty() {
            return None;
        }
        let found =
            OPENINGS.iter().filter_map(|opening| Some((rest.find(opening.0)?, opening))).min_by_key(|(at, _)| *at);
        let Some((at, (opening, read))) = found else { return Some(Ok(Part::Text(std::mem::take(&mut rest)))) };
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            // All but that `$`: first what is before it, then the opening.
            secret = Some(Ok(Part::Text(&from[..opening.len()])));
            rest = &from[opening.len()..];
            return Some(Ok(Part::Text(before)));
        }
        let (part, after) = of(from, opening, *read);
        rest = after;
        if before.is_empty() {
            return Some(part);
        }
        secret = Some(part);
        Some(Ok(Part::Text(before)))
    })
}

fn of<'t>(from: &'t str, opening: &str, read: Reading) -> (Result<Part<'t>, String>, &'t str) {
    let Some(end) = from.find('}') else {
        return (Err(format!("a secret's reference has no end: `{opening}`")), "");
    };
    let written = &from[..=end];
    let part = match read(&from[opening.len()..end]) {
        Some(source) => Ok(Part::Secret { source, written }),
        None => Err(format!("a secret's reference has no possible name: `{written}`")),
    };
    (part, &from[end + 1..])
}

fn variable(name: &str) -> Option<Source<'_>> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let is_name = name.chars().all(is_word) && name.starts_with(|first: char| !first.is_ascii_digit());
    is_name.then_some(Source::Variable(name))
}

fn file(name: &str) -> Option<Source<'_>> {
    let is_below = !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_below.then_some(Source::File(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_taken_apart() {
        let secret = |source, written| Part::Secret { source, written };
        let taken =
            |text| parts(text).map(|part| part.expect(text)).filter(|part| *part != Part::Text("")).collect::<Vec<_>>();
        assert_eq!(taken(""), []);
        assert_eq!(taken("a $5 ${b}"), [Part::Text("a $5 ${b}")]);
        assert_eq!(
            taken("a${env:B}c${file:d/e}"),
            [
                Part::Text("a"),
                secret(Source::Variable("B"), "${env:B}"),
                Part::Text("c"),
                secret(Source::File("d/e"), "${file:d/e}")
            ]
        );
        assert_eq!(taken("${file:a}${env:_}").len(), 2);
        assert_eq!(taken("$${env:A}"), [Part::Text("${env:"), Part::Text("A}")]);
        for bad in [
            "${env:}",
            "${env:A",
            "${env:1A}",
            "${env:A-B}",
            "${file:}",
            "${file:/a}",
            "${file:a/../b}",
            "${file:a//b}",
        ] {
            assert!(parts(bad).any(|part| part.is_err()), "{bad}");
        }
    }
}
