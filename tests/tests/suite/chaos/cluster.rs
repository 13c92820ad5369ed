//! A test of the harness: a cluster that was killed can be restarted.

use pgasync_tests::{PrivateCluster, Target};

#[tokio::test]
async fn a_killed_cluster_restarts_at_its_address_with_all_commits() {
    let cluster = PrivateCluster::start(&["max_connections=40"]);
    let mut target = Target::create_on(&cluster).await;
    target.session().batch_execute("insert into ledger (mark) values ('kept')").await.expect("it inserts");

    cluster.kill();
    cluster.restart();

    target.reconnect().await;
    assert_eq!(target.marks("kept").await, 1);
    let limit = target.session().query_one("show max_connections", &[]).await.expect("a setting");
    assert_eq!(limit.get::<_, &str>(0), "40");
}
