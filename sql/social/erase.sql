-- Removes the text of a post or comment from every copy: kept events, inboxes, and answers kept for a repeated
-- request.
create or replace function social.erase(subject text, author uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from social.idempotency_key k
    where k.owner = author::text and k.body like '%' || split_part(subject, ':', 2) || '%';
    perform events.erase(subject);
    perform inbox.erase(subject);
end
$$;
