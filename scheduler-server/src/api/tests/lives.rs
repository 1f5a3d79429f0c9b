//! Revisions, deletion and what comes after it, before a real engine and a real ledger.

use super::real::Real;
use super::retries::expect;
use super::*;

fn of(job_id: &str) -> v1::ListJobRevisionsRequest {
    v1::ListJobRevisionsRequest { job_id: job_id.to_owned(), ..Default::default() }
}

async fn revisions(real: &Real, page_size: i32) -> Vec<v1::JobRevision> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListJobRevisionsRequest { page_size, page_token, ..of("a") };
        let page = real.jobs().list_job_revisions(request).await.unwrap().into_inner();
        found.extend(page.revisions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn restore(revision: i32, etag: &str) -> v1::RestoreJobRevisionRequest {
    let (job_id, etag) = ("a".to_owned(), etag.to_owned());
    v1::RestoreJobRevisionRequest { job_id, revision, etag, ..Default::default() }
}

fn named<R>(request: impl FnOnce(String) -> R) -> R {
    request("a".to_owned())
}

#[tokio::test]
async fn revisions_tell_what_each_change_changed_and_the_way_back() {
    let real = Real::start().await;
    let create = v1::CreateJobRequest { job: Some(job("a")), ..Default::default() };
    let created = real.jobs().create_job(create).await.unwrap().into_inner();
    let labels = [("team".to_owned(), "x".to_owned())].into();
    let edited = v1::Job { priority: 5, labels, max_instances: Some(3), ..created.clone() };
    let update = v1::UpdateJobRequest { job: Some(edited), ..Default::default() };
    let updated = real.jobs().update_job(update).await.unwrap().into_inner();
    let pause = named(|job_id| v1::PauseJobRequest { job_id, note: "why".to_owned(), ..Default::default() });
    real.jobs().pause_job(pause).await.unwrap();

    let stale = real.jobs().restore_job_revision(restore(1, &updated.etag)).await.unwrap_err();
    expect(stale, Code::Aborted, "ETAG_MISMATCH");
    let missing = real.jobs().restore_job_revision(restore(9, "")).await.unwrap_err();
    expect(missing, Code::NotFound, "JOB_REVISION_NOT_FOUND");
    let restored = real.jobs().restore_job_revision(restore(1, "")).await.unwrap().into_inner();
    assert_eq!((restored.revision, restored.priority, restored.max_instances), (4, 0, Some(1)));
    assert_eq!((&restored.schedule, restored.state()), (&created.schedule, v1::job::State::Paused));

    for page_size in [1, 2, 50] {
        use v1::job_revision::Change;
        let found = revisions(&real, page_size).await;
        let told: Vec<_> = found
            .iter()
            .map(|revision| {
                let fields: Vec<&str> = revision.changes.iter().map(|change| change.field.as_str()).collect();
                (revision.revision, revision.change(), revision.note.as_str(), fields.join(" "))
            })
            .collect();
        let fields = "labels.team maxInstances priority".to_owned();
        let expected = [
            (4, Change::Restored, "revision 1", fields.clone()),
            (3, Change::Paused, "why", "pause".to_owned()),
            (2, Change::Updated, "", fields),
            (1, Change::Created, "", String::new()),
        ];
        assert_eq!(told, expected, "pages of {page_size}");
        assert!(found.iter().all(|revision| revision.author == "anonymous" && revision.effective_from.is_some()));
        let priority = found[2].changes.last().unwrap();
        let number = |value: &Option<Value>| value.as_ref().and_then(|value| value.kind.clone());
        let values = (number(&priority.before), number(&priority.after));
        assert_eq!(values, (Some(Kind::NumberValue(0.0)), Some(Kind::NumberValue(5.0))));
    }
    let nobody = real.jobs().list_job_revisions(of("b")).await.unwrap_err();
    expect(nobody, Code::NotFound, "JOB_NOT_FOUND");
    real.end().await;
}

#[tokio::test]
async fn an_undeleted_job_has_its_history_and_a_taken_name_is_not_given_twice() {
    let real = Real::start().await;
    let create = || v1::CreateJobRequest { job: Some(job("a")), ..Default::default() };
    let created = real.jobs().create_job(create()).await.unwrap().into_inner();
    let undelete = || named(|job_id| v1::UndeleteJobRequest { job_id, ..Default::default() });
    let delete = || named(|job_id| v1::DeleteJobRequest { job_id, ..Default::default() });
    expect(real.jobs().undelete_job(undelete()).await.unwrap_err(), Code::AlreadyExists, "JOB_ALREADY_EXISTS");
    let run = real.jobs().trigger_job(trigger("a", "")).await.unwrap().into_inner();
    real.jobs().delete_job(delete()).await.unwrap();
    let back = real.jobs().undelete_job(undelete()).await.unwrap().into_inner();
    assert_eq!((&back.uid, back.state(), back.delete_time), (&created.uid, v1::job::State::Active, None));
    assert!(back.next_fire_time.is_some());
    let history = named(|job_id| v1::ListRunsRequest { job_id, ..Default::default() });
    let runs = real.runs().list_runs(history).await.unwrap().into_inner().runs;
    assert!(runs.iter().any(|listed| listed.run_id == run.run_id));

    real.jobs().delete_job(delete()).await.unwrap();
    real.jobs().create_job(create()).await.unwrap();
    expect(real.jobs().undelete_job(undelete()).await.unwrap_err(), Code::AlreadyExists, "JOB_ALREADY_EXISTS");
    let namespaces = real.jobs().list_namespaces(v1::ListNamespacesRequest::default()).await.unwrap().into_inner();
    assert_eq!(namespaces.namespaces, [v1::Namespace { namespace: "default".to_owned(), job_count: 1 }]);
    real.end().await;
}

#[tokio::test]
async fn upcoming_fires_of_all_jobs_come_in_the_order_of_time_page_by_page() {
    let real = Real::start().await;
    let at = |job_id: &str, hours: &[i64]| {
        let at = hours.iter().map(|hour| prost_types::Timestamp { seconds: 4_000_000_000 + hour * 3_600, nanos: 0 });
        v1::Job { schedule: Some(v1::Schedule { at: at.collect(), ..Default::default() }), ..job(job_id) }
    };
    for job in [at("b", &[1, 2, 5]), at("a", &[2, 3]), v1::Job { enabled: Some(false), ..at("c", &[1]) }] {
        let create = v1::CreateJobRequest { job: Some(job), ..Default::default() };
        real.jobs().create_job(create).await.unwrap();
    }
    let told = |fire: &v1::UpcomingFire| (fire.job_id.clone(), (fire.time.unwrap().seconds - 4_000_000_000) / 3_600);
    for (job_id, page_size) in [("", 1), ("", 2), ("", 3), ("", 50), ("b", 1)] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let job_id = job_id.to_owned();
            let request = v1::ListUpcomingFiresRequest { job_id, page_size, page_token, ..Default::default() };
            let page = real.jobs().list_upcoming_fires(request).await.unwrap().into_inner();
            found.extend(page.fires.iter().map(told));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        // Of the same instant, the job that was created first comes first.
        let all = [("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 5)].map(|(job, hour)| (job.to_owned(), hour));
        let expected: Vec<_> = all.into_iter().filter(|(job, _)| job_id.is_empty() || job == job_id).collect();
        assert_eq!(found, expected, "{job_id} in pages of {page_size}");
    }
    real.end().await;
}

#[tokio::test]
async fn a_purge_says_what_it_would_delete_and_what_is_wrong_with_it() {
    let real = Real::start().await;
    let create = v1::CreateJobRequest { job: Some(job("a")), ..Default::default() };
    real.jobs().create_job(create).await.unwrap();
    let run = real.jobs().trigger_job(trigger("a", "")).await.unwrap().into_inner();
    let cancel = v1::CancelRunRequest { run_id: run.run_id, note: "enough".to_owned(), ..Default::default() };
    let cancelled = real.runs().cancel_run(cancel).await.unwrap().into_inner();
    assert_eq!(cancelled.reason_message, "cancelled by anonymous: enough");
    let wrong = v1::PurgeRunsRequest {
        states: vec![v1::run::State::Failed.into(), v1::run::State::Running.into()],
        max_runs: -1,
        ..Default::default()
    };
    let status = real.runs().purge_runs(wrong).await.unwrap_err();
    assert_eq!(fields(&status), ["states[1]", "ended_before", "max_runs"]);
    let ended_before = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    let nobody = v1::PurgeRunsRequest { job_id: "b".to_owned(), ended_before, ..Default::default() };
    expect(real.runs().purge_runs(nobody).await.unwrap_err(), Code::NotFound, "JOB_NOT_FOUND");
    for validate_only in [true, false] {
        let purge = v1::PurgeRunsRequest { ended_before, validate_only, ..Default::default() };
        let purged = real.runs().purge_runs(purge).await.unwrap().into_inner();
        assert_eq!((purged.runs, purged.more), (0, false), "runs of the last hour stay");
    }
    real.end().await;
}
