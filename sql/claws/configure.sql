-- Sets what a claw may do, where it is, and what wakes and ends it. What is absent stays. Refuses by the constraints
-- claw_scopes, claw_steering, claw_approvers, claw_secrets, claw_channels, claw_topic and seat_persona.
--   by      the account that asks for it
--   change  any of {persona, channels, triggers, secrets, env, scopes, approvers, public, budget, expires_at, on_expiry,
--           idle_ms, on_busy}; `schedules` belongs to `triggers`: see `claws.set_triggers`; `held` are the scopes of the token
--           by which that is asked, and it gives no others
create or replace function claws.configure(claw uuid, by uuid, change jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    approvers uuid[];
    seat jsonb;
    held text[] := platform.texts_of(change -> 'held');
begin
    select x.* into c from claws.claw x where x.id = claw;
    if exists (select from unnest(platform.texts_of(change -> 'scopes')) s
        where s <> all (string_to_array(identity.scopes_of(c.owner_id), ' '))
        or s <> all (held) and 'admin:all' <> all (held)) then
        perform identity.refuse('claw_scopes');
    elsif change ? 'persona' and not exists (select from circles.seat s
        where s.account_id = claw and circles.may_steer(s, held)) then
        perform identity.refuse('claw_steering');
    elsif exists (select from jsonb_each_text(coalesce(nullif(change -> 'secrets', 'null'), '{}')) s
        where vault.resolve_secret(s.value, c.owner_id) is null) then
        perform identity.refuse('claw_secrets');
    end if;
    approvers := (select array_agg(circles.account_of(a)) from unnest(platform.texts_of(change -> 'approvers')) a);
    if array_position(approvers, null) is not null
        or exists (select from unnest(approvers) o where not circles.may_decide(o, c.owner_id)) then
        perform identity.refuse('claw_approvers');
    end if;
    seat := change - array['approvers', 'triggers'];
    if change -> 'scopes' = 'null' then
        seat := seat || jsonb_build_object('scopes', to_jsonb(circles.scopes_lent(by, held)));
    end if;
    if change ? 'approvers' then
        seat := seat || jsonb_build_object('approvers', to_jsonb(approvers));
    end if;
    if change ? 'triggers' then
        -- A time speaks to it directly.
        seat := seat || jsonb_build_object('listens', (
            select coalesce(jsonb_agg(distinct case t ->> 'on' when 'schedule' then 'direct' else t ->> 'on' end), '[]')
            from jsonb_array_elements(change -> 'triggers') t where t ->> 'on' <> 'event'));
    end if;
    perform circles.set_seat(claw, seat);
    if change ? 'scopes' and c.backend <> 'wasm' then
        -- Its program has a token with the former ones.
        update identity.account a set generation = a.generation + 1, changed_at = clock_timestamp() where a.id = claw;
    end if;
    update claws.claw x
    set triggers = coalesce(change -> 'triggers', x.triggers), secrets = coalesce(change -> 'secrets', x.secrets),
        env = coalesce(change -> 'env', x.env), on_expiry = coalesce(change ->> 'on_expiry', x.on_expiry),
        expires_at = case when change ? 'expires_at' then (change ->> 'expires_at')::timestamptz else x.expires_at end,
        idle_ms = case when change ? 'idle_ms' then (change ->> 'idle_ms')::bigint else x.idle_ms end
    where x.id = claw;
    if change ? 'secrets' and c.backend <> 'wasm' then
        perform vault.grant_claw(by, claw, array(
            select vault.resolve_secret(s.value, c.owner_id)
            from jsonb_each_text(coalesce(nullif(change -> 'secrets', 'null'), '{}')) s));
    end if;
    perform circles.set_budget('account:' || claw, change -> 'budget');
    if change ? 'channels' then
        perform claws.set_channels(claw, by, platform.texts_of(change -> 'channels'));
    end if;
    if change ? 'triggers' then
        perform claws.set_triggers(claw, change -> 'triggers', change -> 'schedules');
    end if;
end
$$;
