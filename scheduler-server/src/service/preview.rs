//! PreviewSchedule: what a schedule means, before or after a job has it.

use job_spec::time::proto_instant;
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::job::{Job, JobKey};
use scheduler_core::schedule::{ChangeKind, Compiled, DstChange, Schedule};
use scheduler_core::time::Timestamp;

use super::{Error, Service, lists};

const DEFAULT_COUNT: usize = 5;
const MOST: i32 = 1_000;
/// The last instant that an answer can carry: 9999-12-31T23:59:59.999999Z.
const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

impl Service {
    pub async fn preview_schedule(
        &self,
        request: v1::PreviewScheduleRequest,
    ) -> Result<v1::PreviewScheduleResponse, Error> {
        let mut violations = Violations::default();
        let key = (!request.job_id.is_empty())
            .then(|| job_spec::job_key(&request.namespace, &request.job_id, "", &mut violations));
        let namespace = match request.namespace.as_str() {
            "" => job_spec::DEFAULT_NAMESPACE.to_owned(),
            named => named.to_owned(),
        };
        let count = count(request.count, &mut violations);
        let after = lists::instant("after", request.after.as_ref(), &mut violations).unwrap_or_else(|| self.now());
        violations.or(()).map_err(Error::Invalid)?;
        let (compiled, left) = match (&request.schedule, key) {
            (Some(schedule), key) => {
                let left = schedule.max_fires.and_then(|fires| usize::try_from(fires).ok());
                (self.given_schedule(schedule, &namespace, key, after).await?, left)
            }
            (None, Some(key)) => {
                let job = self.stored_job(&key).await?;
                let left = job.fires_left().map(|left| usize::try_from(left).unwrap_or(usize::MAX));
                (self.stored_schedule(&job).await?, left)
            }
            (None, None) => return Err(Error::field("schedule", "is required where no job is named")),
        };
        Ok(shown(&compiled, after, left.map_or(count, |left| left.min(count))))
    }

    async fn stored_schedule(&self, job: &Job) -> Result<Compiled, Error> {
        let namespace = job.key.namespace.as_str();
        let calendars = self.calendars_of([(namespace, &job.definition.schedule)]).await?;
        job_spec::compile(job, &|name| calendars.find(namespace, name))
            .ok_or_else(|| Error::field("job_id", "its schedule cannot be evaluated"))
    }

    /// A schedule beside a job counts from the job's creation; the job need not exist.
    async fn given_schedule(
        &self,
        schedule: &v1::Schedule,
        namespace: &str,
        key: Option<JobKey>,
        after: Timestamp,
    ) -> Result<Compiled, Error> {
        let stored = match &key {
            Some(key) => self.ledger.job(key).await?,
            None => None,
        };
        let rules = self.rules(stored.map_or(after, |job| job.create_time));
        let hash_key = key.map(|key| key.to_string());
        let named = Schedule { exclude_calendars: schedule.exclude_calendars.clone(), ..Schedule::default() };
        let calendars = self.calendars_of([(namespace, &named)]).await?;
        let find = |name: &str| calendars.find(namespace, name);
        let (_, compiled) =
            job_spec::schedule_with(schedule, hash_key.as_deref(), &rules, &find).map_err(Error::Invalid)?;
        Ok(compiled)
    }
}

fn count(value: Option<i32>, violations: &mut Violations) -> usize {
    match value {
        None => DEFAULT_COUNT,
        Some(count) if (1..=MOST).contains(&count) => usize::try_from(count).unwrap_or(DEFAULT_COUNT),
        Some(count) => {
            violations.add("count", format!("{count} is not between 1 and {MOST}"));
            DEFAULT_COUNT
        }
    }
}

fn shown(compiled: &Compiled, after: Timestamp, count: usize) -> v1::PreviewScheduleResponse {
    let fires = std::iter::successors(compiled.next(after), |last| compiled.next(*last));
    let fires: Vec<Timestamp> = fires.take(count).take_while(|fire| *fire <= LAST).collect();
    let changes = fires.last().map(|last| compiled.dst_changes(after, *last)).unwrap_or_default();
    v1::PreviewScheduleResponse {
        fire_times: fires.into_iter().map(proto_instant).collect(),
        description: compiled.describe(),
        dst_changes: changes.into_iter().map(change).collect(),
    }
}

fn change(change: DstChange) -> v1::preview_schedule_response::DstChange {
    use v1::preview_schedule_response::dst_change::Kind;
    let kind = match change.kind {
        ChangeKind::Gap => Kind::Gap,
        ChangeKind::Overlap => Kind::Overlap,
    };
    v1::preview_schedule_response::DstChange {
        time: Some(proto_instant(change.time)),
        kind: kind.into(),
        effect: change.effect,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp as ProtoTimestamp};
    use punctual_proto::v1::preview_schedule_response::dst_change::Kind;
    use punctual_proto::v1::schedule::{Dst, dst};

    use super::*;
    use crate::access::Admission;
    use crate::service::Call;
    use crate::service::fakes::{Fake, NOW};

    fn nightly() -> v1::Schedule {
        v1::Schedule {
            cron: vec!["30 2 * * *".to_owned()],
            time_zone: Some("Europe/Paris".to_owned()),
            ..Default::default()
        }
    }

    fn preview(schedule: v1::Schedule, after: &str) -> v1::PreviewScheduleRequest {
        let after = Some(after.parse().unwrap());
        v1::PreviewScheduleRequest { schedule: Some(schedule), after, count: Some(3), ..Default::default() }
    }

    async fn create(service: &Service, job_id: &str, schedule: v1::Schedule) {
        let task = Some(v1::Task { r#type: "noop".to_owned(), payload: None });
        let job = v1::Job { job_id: job_id.to_owned(), schedule: Some(schedule), task, ..Default::default() };
        let request = v1::CreateJobRequest { job: Some(job), ..Default::default() };
        service.create_job(&Call::new(Admission::of_anyone("JobService/CreateJob")), request).await.unwrap();
    }

    fn fires(answer: &v1::PreviewScheduleResponse) -> Vec<String> {
        answer.fire_times.iter().map(ToString::to_string).collect()
    }

    fn refused(answer: Result<v1::PreviewScheduleResponse, Error>) -> Vec<String> {
        let Err(Error::Invalid(violations)) = answer else { panic!("not refused: {answer:?}") };
        violations.0.into_iter().map(|violation| violation.field).collect()
    }

    #[tokio::test]
    async fn a_gap_in_the_span_comes_with_what_it_does_to_the_fires() {
        let service = Fake::default().service();
        let answer = service.preview_schedule(preview(nightly(), "2026-03-28T00:00:00Z")).await.unwrap();
        assert_eq!(fires(&answer), ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        assert!(answer.description.starts_with("at 02:30"), "{}", answer.description);
        let [change] = answer.dst_changes.as_slice() else { panic!("one change: {answer:?}") };
        assert_eq!((change.time.unwrap().to_string().as_str(), change.kind()), ("2026-03-29T01:00:00Z", Kind::Gap));
        assert!(change.effect.contains("02:30 does not exist"), "{}", change.effect);
    }

    #[tokio::test]
    async fn an_overlap_follows_the_policy_of_the_request() {
        let service = Fake::default().service();
        let dst = Dst { gap: dst::Gap::Unspecified.into(), overlap: dst::Overlap::Both.into() };
        let request = preview(v1::Schedule { dst: Some(dst), ..nightly() }, "2026-10-24T12:00:00Z");
        let answer = service.preview_schedule(request).await.unwrap();
        assert_eq!(fires(&answer), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]);
        let [change] = answer.dst_changes.as_slice() else { panic!("one change: {answer:?}") };
        assert_eq!((change.time.unwrap().to_string().as_str(), change.kind()), ("2026-10-25T01:00:00Z", Kind::Overlap));
        assert!(change.effect.ends_with("both times"), "{}", change.effect);
    }

    #[tokio::test]
    async fn a_change_outside_the_span_or_without_an_effect_is_not_told() {
        let service = Fake::default().service();
        let summer = service.preview_schedule(preview(nightly(), "2026-07-01T00:00:00Z")).await.unwrap();
        assert_eq!((summer.fire_times.len(), summer.dst_changes.as_slice()), (3, [].as_slice()));
        let hourly = v1::Schedule { cron: vec!["0 * * * *".to_owned()], ..nightly() };
        let answer = service.preview_schedule(preview(hourly, "2026-03-29T00:00:00Z")).await.unwrap();
        assert_eq!(fires(&answer), ["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T03:00:00Z"]);
        assert_eq!(answer.dst_changes, []);
    }

    #[tokio::test]
    async fn a_job_id_alone_stands_for_the_job_s_schedule_and_five_fires_from_now() {
        let service = Fake::default().service();
        create(&service, "a", v1::Schedule { cron: vec!["H * * * *".to_owned()], ..nightly() }).await;
        let request = v1::PreviewScheduleRequest { job_id: "a".to_owned(), ..Default::default() };
        let answer = service.preview_schedule(request).await.unwrap();
        assert_eq!(answer.fire_times.len(), 5);
        let first = answer.fire_times[0].seconds - NOW.as_secs();
        assert!((1..=3_600).contains(&first), "{first}");

        let nobody = v1::PreviewScheduleRequest { job_id: "b".to_owned(), ..Default::default() };
        assert!(matches!(service.preview_schedule(nobody).await, Err(Error::JobNotFound(_))));
    }

    #[tokio::test]
    async fn a_schedule_beside_a_job_counts_and_hashes_as_that_job_s_would() {
        let service = Fake::default().service();
        let hashed = v1::Schedule { cron: vec!["H H * * *".to_owned()], ..nightly() };
        create(&service, "a", hashed.clone()).await;
        let beside = |job_id: &str, schedule: &v1::Schedule| v1::PreviewScheduleRequest {
            job_id: job_id.to_owned(),
            ..preview(schedule.clone(), "2026-01-01T00:00:00Z")
        };
        let of_job = v1::PreviewScheduleRequest { schedule: None, ..beside("a", &hashed) };
        let of_job = fires(&service.preview_schedule(of_job).await.unwrap());
        assert_eq!(fires(&service.preview_schedule(beside("a", &hashed)).await.unwrap()), of_job);
        assert_ne!(fires(&service.preview_schedule(beside("nobody", &hashed)).await.unwrap()), of_job);

        let every = v1::Schedule { every: vec![Duration { seconds: 7_000, nanos: 0 }], ..Default::default() };
        let answer = service.preview_schedule(beside("a", &every)).await.unwrap();
        assert_eq!((answer.fire_times[0].seconds - NOW.as_secs()) % 7_000, 0, "from the job's creation on");
        let answer = service.preview_schedule(beside("nobody", &every)).await.unwrap();
        assert_eq!(fires(&answer)[0], "2026-01-01T01:56:40Z", "from `after` on");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_by_its_path_in_the_request() {
        let service = Fake::default().service();
        let after = "2026-01-01T00:00:00Z";
        let schedule = v1::Schedule {
            cron: vec!["0 0 * * *".to_owned(), "61 * * * *".to_owned()],
            every: vec![Duration { seconds: 0, nanos: 1_000 }],
            time_zone: Some("Mars".to_owned()),
            ..Default::default()
        };
        let mut found = refused(service.preview_schedule(preview(schedule, after)).await);
        found.sort_unstable();
        assert_eq!(found, ["schedule.cron[1]", "schedule.every[0]", "schedule.time_zone"]);
        let hashed = v1::Schedule { cron: vec!["H * * * *".to_owned()], ..Default::default() };
        assert_eq!(refused(service.preview_schedule(preview(hashed, after)).await), ["schedule.cron[0]"]);

        let mut request = preview(nightly(), after);
        request.after = Some(ProtoTimestamp { seconds: i64::MAX, nanos: 0 });
        request.count = Some(MOST + 1);
        request.job_id = "A".to_owned();
        let mut found = refused(service.preview_schedule(request).await);
        found.sort_unstable();
        assert_eq!(found, ["after", "count", "job_id"]);
    }

    #[tokio::test]
    async fn fires_end_with_the_last_year_that_an_answer_can_carry() {
        let every = v1::Schedule { every: vec![Duration { seconds: 1, nanos: 0 }], ..Default::default() };
        let answer = Fake::default().service().preview_schedule(preview(every, "9999-12-31T23:59:58Z")).await.unwrap();
        assert_eq!(fires(&answer), ["9999-12-31T23:59:59Z"]);
    }
}
