-- Takes all limits of a subject away. Whether it had any.
create or replace function llm.delete_limits(subject text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from llm.payer p where p.subject = delete_limits.subject;
    return found;
end
$$;
grant execute on function llm.delete_limits to gather_llm;
