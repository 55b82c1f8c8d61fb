//! A control request after routing: the operation, who asks, and the parts that the
//! operation's own shape is read from.

use aws_api::{
    ApiError, Operation,
    request::{self, Source},
};
use bytes::Bytes;
use model::AccountId;

use crate::{
    catalogue::Catalogue,
    target::{Asking, Target},
};

#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) operation: Operation,
    pub(crate) account: AccountId,
    /// `http://host:port` as the client sees this installation.
    pub(crate) origin: &'a str,
    pub(crate) source: Source<'a>,
    pub(crate) body: Bytes,
}

impl Request<'_> {
    /// The operation's shape, its constraints checked.
    pub(crate) fn parse<R: request::Request>(&self) -> Result<R, ApiError> {
        request::parse(&self.source, &self.body)
    }

    pub(crate) fn target(
        &self,
        catalogue: &Catalogue,
        name: Option<&str>,
        qualifier: Option<&str>,
    ) -> Result<Target, ApiError> {
        let asking =
            Asking { region: &catalogue.region, account: self.account, operation: self.operation };
        Target::parse(asking, name.unwrap_or_default(), qualifier)
    }

    /// For operations whose shape is the name in the path alone.
    pub(crate) fn named_target(&self, catalogue: &Catalogue) -> Result<Target, ApiError> {
        let name = self.source.param("FunctionName");
        let qualifier = self.source.query("Qualifier");
        self.target(catalogue, name.as_deref(), qualifier.as_deref())
    }

    /// The status of success, from the service model.
    pub(crate) fn success(&self) -> u16 {
        self.operation.success()
    }
}
