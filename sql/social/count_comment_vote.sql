-- Maintains the sum of a comment's votes.
create or replace function social.count_comment_vote() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    vote social.comment_vote := coalesce(new, old);
begin
    update social.comment c set score = c.score + coalesce(new.value, 0) - coalesce(old.value, 0)
    where c.id = vote.comment_id;
    return null;
end
$$;
create or replace trigger comment_vote_counted after insert or update or delete on social.comment_vote
for each row execute function social.count_comment_vote();
