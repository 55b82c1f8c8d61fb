//! Create tokens between managers: what the book asks of a function's home, and what
//! this manager gives as one (A6). The choices are the book's.

use decide::admit::TokenAsk;
use model::{AccountId, FunctionName, ManagerId};
use platform::TaskKind;
use wire::manager::{ManagerAnswer, ManagerCall};

use crate::owner::{Event, Owner};

impl Owner {
    pub(crate) fn give_tokens(
        &mut self,
        account: AccountId,
        function: &FunctionName,
        want: u32,
    ) -> ManagerAnswer {
        let now = self.clock.now();
        ManagerAnswer::TokensTaken(self.book.give_tokens(now, account, function, want))
    }

    pub(crate) fn ask_tokens(&self, home: ManagerId, ask: TokenAsk) {
        let link = self.peers.get(&home).cloned();
        let events = self.events.clone();
        let (account, function) = ask.whose.clone();
        let call = ManagerCall::TakeTokens { account, function, want: ask.want };
        self.tasks.spawn(TaskKind::Background, "question for tokens", async move {
            let answer = match link {
                Some(link) => link.call(call).await.ok(),
                None => None,
            };
            let given = answer.and_then(|answer| {
                let ManagerAnswer::TokensTaken(given) = answer else { return None };
                Some(given)
            });
            let _ = events.send(Event::Tokens(ask, given)).await;
        });
    }
}
