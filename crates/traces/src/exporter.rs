//! Where spans go: a collector, as the variables of OpenTelemetry name it.

use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use rustls::ClientConfig;

/// A collector that does not answer for this time has not taken the spans.
const EXPORT_MAX: Duration = Duration::from_secs(10);

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A variable of OpenTelemetry has a value that cannot be used.
    #[error("--traces: {0}; see OTEL_EXPORTER_OTLP_ENDPOINT and the other variables in docs/traces.md")]
    Exporter(#[from] ExporterBuildError),
    /// The certificates of the machine, or the thread.
    #[error("--traces: {0}")]
    System(#[from] std::io::Error),
    /// The library of TLS refused its settings.
    #[error("--traces: TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The exporter to the collector that the environment names. It has to run inside a tokio runtime.
pub(crate) fn exporter(version: &'static str) -> Result<SpanExporter, TracesError> {
    let client = HyperClient::new(connector()?, EXPORT_MAX, None);
    let builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let mut exporter = builder.with_http_client(client).build()?;
    exporter.set_resource(&resource(version));
    Ok(exporter)
}

fn connector() -> Result<HttpsConnector<HttpConnector>, TracesError> {
    let provider = rustls::crypto::ring::default_provider();
    let tls = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_native_roots()?
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build())
}

/// What the spans are about: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before.
fn resource(version: &'static str) -> Resource {
    let named = Resource::builder().build();
    let unknown = named
        .get(&Key::from_static_str("service.name"))
        .is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let own = unknown.then(|| KeyValue::new("service.name", "pgasync"));
    Resource::builder().with_attributes(own).with_attribute(KeyValue::new("service.version", version)).build()
}
