-- Makes a claw: its account with its key, its seat, and the work that lets it run. Refuses by the constraints claw_count,
-- claw_template, claw_backend, seat_persona, those of `claws.configure`, and those of `identity.create_hosted_agent`.
--   new     {name, persona, template} and what `claws.configure` takes
--   key     the public key of the account
--   key_id  what that follows from, besides the platform's secret
create or replace function claws.create_claw(account uuid, new jsonb, key bytea, key_id uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    made uuid;
    t claws.template;
begin
    perform identity.require_active(account);
    if (select count(*) from claws.claw x where x.owner_id = account) >= 100 then
        perform identity.refuse('claw_count');
    end if;
    if coalesce(new ->> 'template', 'wasm') <> 'wasm' then
        select x.* into t from claws.template x where x.name = new ->> 'template';
        if t.name is null then
            perform identity.refuse('claw_template');
        -- One that was heard of comes back, and its work waits for that.
        elsif exists (select from claws.backend b where b.name = t.backend and b.heard_at is null) then
            perform identity.refuse('claw_backend');
        end if;
    end if;
    made := circles.create_seat(account, new ->> 'persona', new ->> 'name',
        case when t.name is null then key end);
    if made is null then
        perform identity.refuse('seat_persona');
    end if;
    insert into claws.claw as x (id, owner_id, key_id, template, backend)
    values (made, account, create_claw.key_id, coalesce(t.name, 'wasm'), coalesce(t.backend, 'wasm')) returning x.* into c;
    perform circles.set_seat_state(made, case when t.name is null then 'paused' else 'elsewhere' end);
    perform claws.configure(made, account, new - 'persona');
    insert into claws.change (claw_id, to_status, cause) values (made, 'requested', 'created');
    update claws.claw x set job_id = jobs.enqueue('claw-provision',
        jsonb_build_object('claw', made, 'generation', c.generation, 'cause', 'created'), owner => account,
        notify => 'claws.job_ended')
    where x.id = made returning x.* into c;
    perform claws.tell(c, 'created');
    return claws.accepted(c);
end
$$;
grant execute on function claws.create_claw(uuid, jsonb, bytea, uuid) to gather_claws;
