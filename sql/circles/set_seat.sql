-- Sets what an agent that the platform thinks for may do, and what wakes it. What is absent stays. Refuses by the constraint
-- seat_persona.
--   change  any of {persona, public, scopes, approvers, listens, on_busy}; `persona` as for `circles.create_seat`
create or replace function circles.set_seat(account uuid, change jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    s circles.seat;
    chosen uuid;
    number integer;
begin
    select x.* into s from circles.seat x where x.account_id = account for update;
    if change ? 'persona' then
        chosen := circles.find_persona(s.owner_id, split_part(change ->> 'persona', '@', 1));
        number := nullif(split_part(change ->> 'persona', '@', 2), '')::integer;
        if circles.persona_json(chosen, number) is null then
            perform identity.refuse('seat_persona');
        end if;
        update circles.seat x set persona_id = chosen, persona_version = circles.seat_version(s.owner_id, chosen, number)
        where x.account_id = account;
    end if;
    update circles.seat x
    set public = case when change ? 'public' then (change ->> 'public')::boolean else x.public end,
        scopes = case when change ? 'scopes' then platform.texts_of(change -> 'scopes') else x.scopes end,
        approvers = case when change ? 'approvers' then platform.texts_of(change -> 'approvers')::uuid[] else x.approvers end,
        listens = case when change ? 'listens' then platform.texts_of(change -> 'listens') else x.listens end,
        on_busy = case when change ? 'on_busy' then change ->> 'on_busy' else x.on_busy end
    where x.account_id = account;
end
$$;
