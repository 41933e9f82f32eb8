-- Erases what was kept of calls of models: of these calls, and of those of these accounts that hold one of the texts, as it
-- is or within JSON. Their place in the ledger stays. Returns how many.
create or replace function llm.erase_texts(accounts uuid[], calls uuid[], texts text[]) returns bigint
language plpgsql
as $$
declare
    erased bigint;
    more bigint;
    pieces text[] := array(
        select t from unnest(texts) t
        union select btrim(to_json(t)::text, '"') from unnest(texts) t
        union select btrim(to_json(btrim(to_json(t)::text, '"'))::text, '"') from unnest(texts) t);
begin
    delete from llm.capture k using llm.call c
    where c.id = k.call_id and (c.id = any (calls) or c.account_id = any (accounts) and exists (
        select from unnest(pieces) p where strpos(k.request, p) > 0 or strpos(k.answer, p) > 0));
    get diagnostics erased = row_count;
    delete from llm.answer a
    where a.call_id = any (calls) or a.account_id = any (accounts) and exists (
        select from unnest(pieces) p where strpos(a.body, p) > 0);
    get diagnostics more = row_count;
    return erased + more;
end
$$;
