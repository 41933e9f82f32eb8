-- What calls that are under way hold of a subject's budget since a moment.
create or replace function llm.reserved(subject text, since timestamptz) returns bigint
language sql stable
as $$
    select coalesce(sum(c.reserved_microusd), 0)::bigint from llm.call c
    where c.status = 'running' and c.payers @> array[reserved.subject] and c.created_at >= since
$$;
grant execute on function llm.reserved to gather_llm;
