-- Leaves the texts of an account that leaves without the vectors that they do not have yet: nobody can ask the model on its
-- behalf any more.
create or replace function search.forget_account(account uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from search.wanted w where w.author_id = account
$$;
