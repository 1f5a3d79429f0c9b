//! Namespaces: they exist once a job or calendar has named them.

use ledger::Page;
use punctual_proto::v1;

use super::{Error, Service, page};

impl Service {
    pub async fn list_namespaces(
        &self,
        request: v1::ListNamespacesRequest,
    ) -> Result<v1::ListNamespacesResponse, Error> {
        let asked = Page { size: page::size(&request)?, after: page::after::<String, _>(&request)? };
        let found = self.ledger.namespaces(&asked).await?;
        let next = found.items.last().filter(|_| found.more).map(|namespace| namespace.name.clone());
        let shown = found.items.into_iter().map(|namespace| v1::Namespace {
            namespace: namespace.name,
            job_count: i32::try_from(namespace.jobs).unwrap_or(i32::MAX),
        });
        Ok(v1::ListNamespacesResponse {
            namespaces: shown.collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }
}
