-- An account that leaves takes its providers, aliases and limits along. Its calls stay in the sums of others who paid.
create or replace function llm.forget_account(account uuid) returns void
language sql
as $$
    delete from llm.provider p where p.account_id = account;
    delete from llm.alias a where a.account_id = account;
    delete from llm.payer p where p.subject = 'account:' || account;
    delete from llm.answer a where a.account_id = account;
    delete from llm.capture x where x.call_id in (select c.id from llm.call c where c.account_id = account);
    update llm.call c set account_id = null, key_id = null, purpose = null, parent = null, request_digest = null,
        answer_digest = null, payers = array_remove(c.payers, 'account:' || account)
    where c.account_id = account;
    delete from llm.idempotency_key k where k.owner = account::text
$$;
