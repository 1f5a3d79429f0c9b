//! Whether the leader is dead, by what a standby sees at its address (PROTOCOL.md, rule 14).
//!
//! Only who has heard this very process say that it leads may find it dead, and only where its address refuses or somebody
//! else answers there. What is silent, slow or cut off may live: that is left to its lease.

use scheduler_core::ids::Epoch;

/// What is seen at an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// A process says who it is, in which epoch it leads, and up to which number all changes are in the ledger.
    Says { instance: String, epoch: Option<Epoch>, changes: Option<i64> },
    /// It has ended the stream itself: it stops, and gives leadership up.
    Leaves,
    /// The stream broke: by the end of the process, or on the way.
    Breaks,
    /// Nobody listens there.
    Refuses,
    /// It is not reached, or what answers cannot be understood.
    Nothing,
}

/// Over one leader, from its election until there is another.
pub(super) struct Vigil {
    instance: String,
    /// In which it has said that it leads.
    led: Option<Epoch>,
}

impl Vigil {
    pub(super) fn over(instance: &str) -> Self {
        Self { instance: instance.to_owned(), led: None }
    }

    /// The epoch of the leader that is dead by this; it is told once.
    pub(super) fn sees(&mut self, sight: &Sight) -> Option<Epoch> {
        match sight {
            Sight::Says { instance, epoch, .. } if *instance == self.instance => {
                self.led = *epoch;
                None
            }
            Sight::Says { .. } | Sight::Refuses => self.led.take(),
            Sight::Leaves => {
                self.led = None;
                None
            }
            Sight::Breaks | Sight::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(7);

    fn says(instance: &str, epoch: Option<Epoch>) -> Sight {
        Sight::Says { instance: instance.to_owned(), epoch, changes: None }
    }

    fn found(sights: &[Sight]) -> Vec<Option<Epoch>> {
        let mut vigil = Vigil::over("leader");
        sights.iter().map(|sight| vigil.sees(sight)).collect()
    }

    fn died(sights: &[Sight]) -> bool {
        found(sights).iter().any(Option::is_some)
    }

    #[test]
    fn a_killed_leader_is_found_dead_once_by_its_address_or_by_who_came_after_it() {
        let leads = says("leader", Some(EPOCH));
        let sights = [leads.clone(), Sight::Breaks, Sight::Refuses, Sight::Refuses, says("next", None)];
        assert_eq!(found(&sights), [None, None, Some(EPOCH), None, None]);
        assert_eq!(found(&[leads, Sight::Breaks, says("next", None)]), [None, None, Some(EPOCH)]);
    }

    #[test]
    fn who_is_cut_off_from_a_leader_does_not_find_it_dead() {
        let leads = says("leader", Some(EPOCH));
        assert!(!died(&[leads.clone(), Sight::Breaks, Sight::Nothing, Sight::Nothing, leads.clone()]));
        assert!(!died(&[leads, Sight::Nothing, Sight::Breaks, Sight::Nothing]));
    }

    #[test]
    fn who_never_heard_a_leader_does_not_find_it_dead() {
        assert!(!died(&[Sight::Refuses, Sight::Nothing, Sight::Refuses]), "as behind a rule that rejects");
        assert!(!died(&[says("another", Some(EPOCH)), Sight::Refuses]));
        assert!(!died(&[says("leader", None), Sight::Breaks, Sight::Refuses]), "it had not taken over");
    }

    #[test]
    fn a_leader_that_stops_or_leads_no_more_is_not_dead() {
        let leads = says("leader", Some(EPOCH));
        assert!(!died(&[leads.clone(), Sight::Leaves, Sight::Refuses]));
        assert!(!died(&[leads, says("leader", None), Sight::Breaks, Sight::Refuses]));
    }
}
