//! What sessions say of themselves, and what they set (PROTOCOL.md, rule 5).

use sqlx::Row;

use crate::contract::Term;
use crate::contract::samples::{created, job, run};
use crate::database::Database;

/// Has every write to `runs` noted down, with what holds for its session.
const NOTE: &str = "
    CREATE TABLE noted (name TEXT, syncs TEXT, waits TEXT, runs_for TEXT, idles TEXT, isolation TEXT);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO noted VALUES (current_setting('application_name'), current_setting('synchronous_commit'),
            current_setting('lock_timeout'), current_setting('statement_timeout'),
            current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'));
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER noting BEFORE INSERT ON runs FOR EACH STATEMENT EXECUTE FUNCTION note();";

#[tokio::test]
async fn leaders_sessions_are_bounded_durable_and_named_after_their_epoch() {
    let Some(database) = Database::new().await else { return };
    database.execute(NOTE).await;
    database.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off").await;
    database.execute("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'serializable'").await;
    let job = job(1, "default", "a");
    let mut epochs = Vec::new();
    for n in 1..=2 {
        let term = Term::begin(&database).await;
        epochs.push(term.epoch().0);
        term.commit(|transaction| {
            transaction.jobs = vec![created(job.clone())];
            transaction.entered = vec![run(n, &job)];
        })
        .await;
    }
    let mut outsider = database.outsider().await;
    let noted = sqlx::query("SELECT * FROM noted ORDER BY name").fetch_all(&mut outsider).await.unwrap();
    assert_eq!(noted.len(), 2);
    for (row, epoch) in noted.iter().zip(epochs) {
        let columns: Vec<String> = (0..6).map(|column| row.get(column)).collect();
        assert_eq!(columns, [&format!("punctual/{epoch}/a"), "on", "2s", "5s", "500ms", "read committed"]);
    }
}

#[tokio::test]
async fn one_ledger_over_two_terms_renames_its_sessions() {
    let Some(database) = Database::new().await else { return };
    database.execute(NOTE).await;
    let first = Term::begin(&database).await;
    let job = job(1, "default", "a");
    first
        .commit(|transaction| {
            transaction.jobs = vec![created(job.clone())];
            transaction.entered = vec![run(1, &job)];
        })
        .await;
    let began = first.ledger.take_over(&crate::contract::take_over("a")).await.unwrap();
    let second = Term { ledger: first.ledger, began };
    second.commit(|transaction| transaction.entered = vec![run(2, &job)]).await;
    let named = format!("EXISTS (SELECT 1 FROM noted WHERE name = 'punctual/{}/a')", second.epoch().0);
    database.until(&named).await;
}
