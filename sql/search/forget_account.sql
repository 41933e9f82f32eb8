-- Nobody can ask the model on behalf of an account that leaves: its texts that have no vectors stay without.
create or replace function search.forget_account(account uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from search.wanted w where w.author_id = account
$$;
