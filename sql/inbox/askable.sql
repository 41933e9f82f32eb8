-- An account and its teams, to one of which an approval has to be addressed for the account to be asked.
create or replace function inbox.askable(account uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select askable.account
    union all
    select m.team_id from identity.team_member m where m.account_id = askable.account
$$;
grant execute on function inbox.askable(uuid) to gather_inbox;
