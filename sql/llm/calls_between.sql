-- The calls of an account, or of everybody, that began in a time.
create or replace function llm.calls_between(account uuid, since timestamptz, until timestamptz) returns setof llm.call
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if account is null then
        return query select c.* from llm.call c where c.created_at >= since and c.created_at < until;
    else
        return query select c.* from llm.call c
        where c.account_id = calls_between.account and c.created_at >= since and c.created_at < until;
    end if;
end
$$;
grant execute on function llm.calls_between to gather_llm;
