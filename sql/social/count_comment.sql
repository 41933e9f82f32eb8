-- Maintains the number of a post's shown comments.
create or replace function social.count_comment() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before integer := 0;
    after integer := (new.deleted_at is null and new.hidden_at is null)::integer;
begin
    if tg_op = 'UPDATE' then
        before := (old.deleted_at is null and old.hidden_at is null)::integer;
    end if;
    if before <> after then
        update social.post p set comments = p.comments + after - before where p.id = new.post_id;
    end if;
    return null;
end
$$;
create or replace trigger comment_counted after insert or update of deleted_at, hidden_at on social.comment
for each row execute function social.count_comment();
