-- What grants may name an account as: itself, and its teams.
create or replace function vault.subjects_of(account uuid) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array_agg(s) from (
        select 'account:' || account as s
        union all
        select 'team:' || m.team_id from identity.team_member m where m.account_id = subjects_of.account) of_account
$$;
