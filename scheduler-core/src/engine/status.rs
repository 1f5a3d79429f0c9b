//! What the leader tells of itself.

use std::time::Duration;

use crate::job::JobState;
use crate::run::RunState;
use crate::time::{Boot, Timestamp};

use super::request::{AgentCounts, AgentStatus, JobCounts, Status};
use super::term::Term;

/// A count of so many jobs is good for so long: a thousand for a tenth of a second, a million for a minute and a half.
const COUNTED_FOR_EACH: Duration = Duration::from_micros(100);

impl Term {
    pub(super) fn agents_known(&self) -> Vec<AgentStatus> {
        let cordons = &self.agents.cordons;
        let agents = self.agents.by_instance.iter().map(|(instance, entry)| AgentStatus {
            id: entry.id.clone(),
            instance: Some(*instance),
            cordon: cordons.get(&entry.id).cloned(),
            connect_time: entry.stream.map(|_| self.wall_at(entry.connected)),
            heartbeat_time: entry.hello.as_ref().map(|_| self.wall_at(entry.last_heartbeat)),
            hello: entry.hello.clone(),
            skew: entry.clock.skew(),
            is_stale: self.now.boot.since(entry.last_heartbeat) > self.freshness(),
            running: entry.held.len(),
            draining: entry.draining || entry.asked_to_drain,
        });
        let mut agents: Vec<AgentStatus> = agents.collect();
        for (id, cordon) in cordons {
            if !agents.iter().any(|agent| agent.id == *id) {
                agents.push(AgentStatus::gone(id.clone(), cordon.clone()));
            }
        }
        agents
    }

    pub(super) fn status(&mut self) -> Status {
        let jobs = self.jobs_counted();
        Status {
            epoch: self.epoch,
            suspended: self.suspended,
            jobs,
            watermark: self.watermark.committed,
            agents: self.count_agents(),
            unended_runs: self.runs.len(),
            running_runs: self.runs.values().filter(|live| live.run.state == RunState::Running).count(),
            waiting: self.queue.len(),
            stats: self.stats,
            rates: self.pace.rates(self.now.boot, &self.stats),
            lateness: self.pace.lateness(50).zip(self.pace.lateness(99)),
        }
    }

    /// What the wall clock of now would have shown then.
    fn wall_at(&self, then: Boot) -> Timestamp {
        self.now.wall.saturating_sub(self.now.boot.since(then))
    }

    fn count_agents(&self) -> AgentCounts {
        let mut counts = AgentCounts { cordoned: self.agents.cordons.len(), ..AgentCounts::default() };
        for entry in self.agents.by_instance.values() {
            if entry.stream.is_none() {
                counts.away += 1;
                continue;
            }
            counts.connected += 1;
            counts.slots += entry.slots();
            counts.busy_slots += entry.held.len();
        }
        counts
    }

    /// Counting goes through all jobs, which must not hold up what is due whenever somebody looks.
    fn jobs_counted(&mut self) -> JobCounts {
        let stays = COUNTED_FOR_EACH.saturating_mul(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX));
        match self.counted {
            Some((time, counts)) if self.now.boot.since(time) < stays => counts,
            _ => {
                let counts = self.count_jobs();
                self.counted = Some((self.now.boot, counts));
                counts
            }
        }
    }

    fn count_jobs(&self) -> JobCounts {
        let mut counts = JobCounts::default();
        for entry in self.jobs.live() {
            let state = entry.job.state(entry.is_completed());
            match state {
                JobState::Active => counts.active += 1,
                JobState::Paused => counts.paused += 1,
                JobState::Disabled => counts.disabled += 1,
                JobState::Completed => counts.completed += 1,
                JobState::Deleted => {}
            }
        }
        counts
    }
}
