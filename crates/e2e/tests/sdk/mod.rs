//! What the tests by the published Rust SDK share: a client that never tries again by
//! itself, so that what the platform answers is what a test sees, and packages.

use std::io::{Cursor, Write};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    primitives::Blob,
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// `variable`: what `lambent env` prints.
pub(crate) fn client<'v>(endpoint: &str, variable: impl Fn(&str) -> &'v str) -> Client {
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "lambent env",
    );
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(variable("AWS_REGION").to_owned()))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// A deployment package of one file.
pub(crate) fn package(path: &str, text: &str) -> Blob {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(path, SimpleFileOptions::default()).expect("a zip takes a file");
    archive.write_all(text.as_bytes()).expect("memory can be written");
    Blob::new(archive.finish().expect("a zip ends").into_inner())
}
