-- The answer to a request whose Idempotency-Key was used before; null for the first request. The answer of a
-- target that the account may not use any more is forgotten.
create or replace function llm.repeated(account uuid, asked jsonb, payers text[]) returns jsonb
language plpgsql
as $$
declare
    k record;
begin
    if not asked ? 'repeat' then
        return null;
    end if;
    -- The same request may come twice at once.
    perform pg_advisory_xact_lock(hashtextextended('llm:' || account || ':' || (asked #>> '{repeat,key}'), 0));
    select n.fingerprint, n.headers, n.body, n.created_at, c.id, c.status, c.provider_id, c.model into k
    from llm.answer n join llm.call c on c.id = n.call_id
    where n.account_id = account and n.key = asked #>> '{repeat,key}' and n.created_at > now() - interval '1 day';
    if found and k.fingerprint <> asked #>> '{repeat,fingerprint}' then
        return '{"refused": "idempotency-mismatch"}';
    elsif found and k.status = 'running' then
        return '{"refused": "call-running", "retry_after": 1}';
    elsif found and k.body is not null and exists (
        select from llm.choices(account, asked ->> 'model', payers) c
        where c.provider_id = k.provider_id and c.model = k.model) then
        return jsonb_build_object('kept', jsonb_build_object('headers', k.headers, 'body', k.body));
    end if;
    delete from llm.answer n where n.account_id = account and n.key = asked #>> '{repeat,key}';
    return null;
end
$$;
