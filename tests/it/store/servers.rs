//! PostgreSQL: servers that take no writes, roles without rights, and poolers before a server.

use super::contract::run;
use crate::fixtures::{pgbouncer::Pooler, postgres::cluster};
use mpscript::{
    base::Secret,
    store::{Store, StoreError},
};

/// Runs SQL as the superuser of a database.
async fn administer(url: &Secret, sql: &'static str) {
    let options: sqlx::postgres::PgConnectOptions = url.reveal().parse().unwrap();
    let mut server: sqlx::PgConnection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut server).await.unwrap();
}

#[test]
fn role_without_rights_gets_the_grant_to_make() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let low = Secret::new(url.reveal().replace("mpscript:", "low:"));
    let sql = "DO $$ BEGIN CREATE ROLE low LOGIN PASSWORD 'PG-pa55word-otter-91c0';
               EXCEPTION WHEN duplicate_object THEN NULL; END $$; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    let error = run(async {
        administer(&url, sql).await;
        Store::postgres(&low).await.unwrap_err()
    });
    assert!(error.to_string().ends_with(" lacks rights: permission denied for schema public"), "{error}");
    assert!(error.hint().contains("GRANT USAGE, CREATE ON SCHEMA public"), "{}", error.hint());
}

#[test]
fn server_that_takes_no_more_connections_says_so() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let busy = Secret::new(url.reveal().replace("mpscript:", "busy:"));
    let sql = "CREATE ROLE busy LOGIN PASSWORD 'PG-pa55word-otter-91c0' CONNECTION LIMIT 0";
    let error = run(async {
        administer(&url, sql).await;
        Store::postgres(&busy).await.unwrap_err()
    });
    let reason = " can't be opened: too many connections for role \"busy\"";
    assert!(matches!(error, StoreError::Down { .. }) && error.to_string().ends_with(reason), "{error}");
}

#[test]
fn wrong_password_is_reported_in_the_server_s_words() {
    let Some(cluster) = cluster() else { return };
    let wrong = Secret::new(cluster.database().reveal().replace("otter", "heron"));
    let error = run(Store::postgres(&wrong)).unwrap_err();
    let reason = " can't be opened: password authentication failed for user \"mpscript\"";
    assert!(error.to_string().ends_with(reason), "{error}");
}

#[test]
fn read_only_server_is_reported_as_a_standby() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',
               current_database()); END $$";
    let error = run(async {
        administer(&url, sql).await;
        Store::postgres(&url).await.unwrap_err()
    });
    assert!(
        error.to_string().ends_with(" takes no writes: it is a standby, or read-only for this role"),
        "{error}"
    );
    assert_eq!(error.hint(), "connect to the primary server, with a role that may write");
}

#[test]
fn pooler_in_session_mode_is_connected_through() {
    let Some(cluster) = cluster() else { return };
    let Some(pooler) = Pooler::start(cluster, "session") else { return };
    run(async {
        let store = Store::postgres(&pooler.url(&cluster.database())).await.unwrap();
        store.mark_exhausted("a", "/x", 1).await.unwrap();
    });
}

#[test]
fn pooler_in_transaction_mode_is_refused() {
    let Some(cluster) = cluster() else { return };
    let Some(pooler) = Pooler::start(cluster, "transaction") else { return };
    let error = run(Store::postgres(&pooler.url(&cluster.database()))).unwrap_err();
    assert!(matches!(error, StoreError::Pooled { .. }), "{error}");
    assert_eq!(error.hint(), "connect to PostgreSQL itself, or to a pool in session mode");
}
