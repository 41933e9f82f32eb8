-- Locks a post, so that changes, votes and comments take turns. Null if the account is not active or may not
-- read it. Accounts are locked before posts, as when an account leaves. A moderator reaches every post.
create or replace function social.lock_post(account uuid, post uuid, is_moderator boolean default false)
returns social.post
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    locked social.post;
begin
    if not social.is_active(account) then
        return null;
    end if;
    select p.* into locked from social.post p where p.id = lock_post.post for no key update;
    if not is_moderator and not exists (select from social.readable_post(account) r where r.id = locked.id) then
        return null;
    end if;
    return locked;
end
$$;
