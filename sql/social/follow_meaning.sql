-- Has the meaning of a post follow its title and text: see `search.follow`.
create or replace function social.follow_meaning() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' and (new.title, new.plain, new.deleted_at, new.hidden_at)
        is not distinct from (old.title, old.plain, old.deleted_at, old.hidden_at)
    then
        return null;
    elsif new.deleted_at is null and new.hidden_at is null and new.title || new.plain <> '' then
        perform search.follow('post', new.id, search.everybody(), new.author_id);
    elsif tg_op = 'UPDATE' then
        perform search.forget('post', array[new.id]);
    end if;
    return null;
end
$$;
create or replace trigger post_meaning
after insert or update of title, plain, deleted_at, hidden_at on social.post
for each row execute function social.follow_meaning();
