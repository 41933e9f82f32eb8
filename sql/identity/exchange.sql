-- Lets a component act for an account, with those of the scopes that the account has now. For an agent without a program of
-- its own, the component itself asks whether the agent was given them: thinking needs some that it may lack. The component's
-- token belongs to no session: it ends by its time, or when the account's rights change. No row: the account is not active.
-- Both are on record.
create or replace function identity.exchange(account uuid, component text, scopes text[], client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    acted_for identity.account;
    token uuid := platform.uuid_v7();
    narrowed text;
begin
    select a.* into acted_for from identity.account a where a.id = exchange.account and a.status = 'active';
    if not found then
        perform audit.record(null, 'token.refused', exchange.account::text, false, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('component', component));
        return;
    end if;
    select coalesce(string_agg(s, ' ' order by s), '') into narrowed
    from unnest(string_to_array(case when exists (
            select from circles.seat p where p.account_id = exchange.account and p.state <> 'elsewhere')
        then identity.rights_of(exchange.account) else identity.scopes_of(exchange.account) end, ' ')) s where s = any(exchange.scopes);
    perform audit.record(exchange.account, 'token.exchanged', token::text, true, client ->> 'address',
        client ->> 'request_id', jsonb_build_object('component', component, 'scope', narrowed));
    return query select token, acted_for.id, acted_for.kind, narrowed, acted_for.generation, k.kid,
        case when k.kid is distinct from known_kid then encode(k.sealed, 'base64') end
    from (select) one left join identity.signing_key k on k.retired_at is null;
end
$$;
grant execute on function identity.exchange to gather_identity;
