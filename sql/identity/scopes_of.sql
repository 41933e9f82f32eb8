-- The scopes of an account, separated by spaces as in a token. An agent that is kept for an owner has of its rights those
-- that its owner has chosen.
create or replace function identity.scopes_of(account uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    rights text := identity.rights_of(account);
    chosen text[] := (select s.scopes from circles.seat s where s.account_id = account);
begin
    return case when chosen is null then rights else (
        select coalesce(string_agg(r, ' ' order by r), '') from unnest(string_to_array(rights, ' ')) r
        where r = any(chosen)) end;
end
$$;
grant execute on function identity.scopes_of to gather_people, gather_accounts;
