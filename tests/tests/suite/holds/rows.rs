//! A row that cannot be written delays no other row, and is written when it is free. There is one
//! test for each statement.

use pgasync_tests::Engine;

use super::judge::judge_all;
use super::statement::Statement;

async fn a_claim_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Claim).await;
}

async fn a_plain_end_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::PlainEnd).await;
}

async fn an_end_with_an_intention_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::IntendedEnd).await;
}

async fn a_request_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Request).await;
}

async fn a_deadline_of_a_yielded_task_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::DeadlineOfYielded).await;
}

async fn a_deadline_of_a_pulled_task_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::DeadlineOfPulled).await;
}

async fn a_deadline_of_a_waiting_task_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::DeadlineOfWaiting).await;
}

async fn a_deadline_at_an_unreachable_target_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Unreachable).await;
}

async fn a_return_of_a_claim_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::GiveBack).await;
}

async fn an_offer_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Offer).await;
}

async fn a_withdrawal_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Withdraw).await;
}

async fn a_promotion_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Promote).await;
}

async fn a_release_of_a_slot_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Release).await;
}

async fn a_pull_passes_a_row_that_cannot_be_written<E: Engine>() {
    judge_all::<E>(Statement::Take).await;
}

on_both_engines!(
    a_claim_passes_a_row_that_cannot_be_written,
    a_plain_end_passes_a_row_that_cannot_be_written,
    an_end_with_an_intention_passes_a_row_that_cannot_be_written,
    a_request_passes_a_row_that_cannot_be_written,
    a_deadline_of_a_yielded_task_passes_a_row_that_cannot_be_written,
    a_deadline_of_a_pulled_task_passes_a_row_that_cannot_be_written,
    a_deadline_of_a_waiting_task_passes_a_row_that_cannot_be_written,
    a_deadline_at_an_unreachable_target_passes_a_row_that_cannot_be_written,
    a_return_of_a_claim_passes_a_row_that_cannot_be_written,
    an_offer_passes_a_row_that_cannot_be_written,
    a_withdrawal_passes_a_row_that_cannot_be_written,
    a_promotion_passes_a_row_that_cannot_be_written,
    a_release_of_a_slot_passes_a_row_that_cannot_be_written,
    a_pull_passes_a_row_that_cannot_be_written,
);
