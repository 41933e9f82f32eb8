-- Whether an account may do something: by its own roles or, with what belongs to a team, by its role there. Whoever asks
-- for a caller asks about the caller's own scopes first: a key may have fewer than its account.
create or replace function identity.allows(account uuid, scope text, team uuid default null) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select a.status = 'active' from identity.account a where a.id = allows.account), false) and (
        case when allows.team is null
            then string_to_array(identity.scopes_of(allows.account), ' ') && array['admin:all', allows.scope]
            else exists (select from identity.team_member m join identity.team_role r on r.name = m.role
                where m.team_id = allows.team and m.account_id = allows.account and allows.scope = any(r.scopes))
        end)
$$;
