-- Gives a claw the key of its new container, by the token that the container was given: once, within five minutes, and only
-- the newest. Keys of earlier containers end with their sessions. Null: the token is not good.
create or replace function claws.enrol(hash bytea, key bytea) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    e claws.enrolment;
    former bytea;
begin
    select x.* into e from claws.enrolment x where x.hash = enrol.hash;
    select x.* into c from claws.claw x where x.id = e.claw_id and x.instance = e.generation and x.desired = 'running' for update;
    update claws.enrolment x set used_at = clock_timestamp(), public_key = enrol.key
    where x.claw_id = c.id and x.hash = enrol.hash and x.used_at is null and x.expires_at > clock_timestamp() returning x.* into e;
    if not found then
        return null;
    end if;
    select g.public_key into former from identity.agent g where g.account_id = c.id for update;
    if former is not null and former <> enrol.key then
        insert into identity.former_key (public_key, account_id, created_at)
        select g.public_key, g.account_id, g.key_since from identity.agent g where g.account_id = c.id;
    end if;
    update identity.agent g set public_key = enrol.key, key_since = now() where g.account_id = c.id;
    perform claws.sign_out(c.id);
    perform audit.record(c.id, 'agent.enrolled', c.id::text, true, null, null,
        jsonb_build_object('key', encode(enrol.key, 'base64')));
    return claws.claw_json(c);
end
$$;
grant execute on function claws.enrol(bytea, bytea) to gather_claws;
