//! What became of an instant, as text.

use punctual_proto::v1::ExplainFireResponse;
use punctual_proto::v1::explain_fire_response::Outcome;

use super::{BAD, GOOD, ODD, PLAIN, Scene};

/// The outcome, and the sentences that say why.
pub(crate) fn explanation(answer: &ExplainFireResponse, _: &Scene) -> String {
    let style = match answer.outcome() {
        Outcome::Ran | Outcome::Coalesced => GOOD,
        Outcome::Late | Outcome::Missed | Outcome::Skipped | Outcome::LedgerRestored | Outcome::NoRecord => BAD,
        Outcome::Paused | Outcome::Disabled | Outcome::Deleted | Outcome::Excluded | Outcome::MaxFiresReached => ODD,
        Outcome::Waiting
        | Outcome::Undecided
        | Outcome::Upcoming
        | Outcome::NotAnInstant
        | Outcome::NotCreated
        | Outcome::Unspecified => PLAIN,
    };
    format!("{style}{}{style:#}: {}\n", answer.outcome().as_str_name(), answer.explanation)
}
