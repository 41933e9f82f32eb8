-- Locks a comment for a change, and its post before it. Null if the account is not active or may not read it. A
-- moderator reaches every comment.
create or replace function social.lock_comment(account uuid, comment uuid, is_moderator boolean default false)
returns social.comment
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    locked social.comment;
    p social.post;
begin
    p := social.lock_post(account, (select c.post_id from social.comment c where c.id = lock_comment.comment), is_moderator);
    if p.id is null then
        return null;
    end if;
    select c.* into locked from social.comment c where c.id = lock_comment.comment for no key update;
    if not is_moderator and not exists (select from social.readable_comment(account) r where r.id = locked.id) then
        return null;
    end if;
    return locked;
end
$$;
