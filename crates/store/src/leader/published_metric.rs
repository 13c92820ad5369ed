//! A counter of a leader, as `async.v_metric` shows it.

use bytes::BytesMut;
use pgasync_pg::types::{IsNull, ToSql, Type};
use serde_json::{Map, Value};

use super::composite::{EncodingError, Fields, unknown_field};

/// A counter or a histogram of a leader.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedMetric {
    /// The name, without the suffixes of a histogram.
    pub metric: &'static str,
    /// The names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The count; for a histogram, the sum of all observations.
    pub value: f64,
    /// For a histogram, the observations in each bucket.
    pub buckets: Option<Vec<i64>>,
}

impl Fields for PublishedMetric {
    const TYPE: &'static str = "metric";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        match field {
            "metric" => self.metric.to_sql(ty, out),
            "labels" => {
                let pairs = self.labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
                Value::Object(pairs.collect::<Map<_, _>>()).to_sql(ty, out)
            }
            // The statement has it.
            "epoch" => Ok(IsNull::Yes),
            "value" => self.value.to_sql(ty, out),
            "buckets" => self.buckets.to_sql(ty, out),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}
