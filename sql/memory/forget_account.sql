-- An account that leaves takes its own memory along, and all that came of it. What it noted elsewhere belongs to the others
-- there.
create or replace function memory.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform memory.end_space(s.id) from memory.space s where s.scope = 'agent' and s.place = account;
    delete from memory.idempotency_key k where k.owner = account::text;
end
$$;
