-- Locks a channel for a change, so that changes and posts take turns. Null if the account is not active or may not read
-- it.
-- Accounts are locked before channels, as when an account leaves. A moderator of the platform reaches every channel.
create or replace function channels.lock(account uuid, ref text, is_moderator boolean default false)
returns channels.channel
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target uuid;
    locked channels.channel;
begin
    perform from identity.account a where a.id = account and a.status = 'active' for key share;
    if not found then
        return null;
    end if;
    target := channels.find(account, ref);
    if target is null and is_moderator then
        target := platform.uuid_of(ref);
    end if;
    select c.* into locked from channels.channel c where c.id = target for no key update;
    -- The right may have ended while others were served.
    if not is_moderator and not channels.may_read(account, locked.id) then
        return null;
    end if;
    return locked;
end
$$;
