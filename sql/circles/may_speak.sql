-- Whether an account may write in a conversation that it reads. In that of a circle, its members may who do not merely
-- observe it, and whoever began to talk with a circle that is everybody's.
create or replace function circles.may_speak(account uuid, channel uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from circles.conversation v join circles.circle c on c.id = v.circle_id
        where v.channel_id = may_speak.channel
        and coalesce(circles.role_of(account, c.id), 'observer') = 'observer'
        and not (c.public and v.created_by is not distinct from account))
$$;
