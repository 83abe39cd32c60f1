//! The store's objects: those of s3s-fs, with what it leaves out and S3 does: tags in listings,
//! conditions of reads, folders that are no objects, and the right name for an upload that is gone.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// s3s-fs with additions.
#[derive(Debug)]
pub struct Backend {
    files: FileSystem,
    root: std::path::PathBuf,
}

impl Backend {
    /// Objects below `root`.
    pub fn new(root: &std::path::Path) -> Self {
        Self { files: FileSystem::new(root).expect("a folder"), root: root.to_owned() }
    }

    async fn tag(&self, bucket: &str, key: &str) -> S3Result<Option<ETag>> {
        let input = HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..Default::default() };
        Ok(self.files.head_object(request(input)).await?.output.e_tag)
    }

    /// A folder is no object.
    fn check_object(&self, bucket: &str, key: &str) -> S3Result<()> {
        match self.root.join(bucket).join(key).is_dir() {
            true => Err(s3_error!(NoSuchKey)),
            false => Ok(()),
        }
    }

    fn check_upload(&self, id: &str) -> S3Result<()> {
        match self.root.join(format!(".upload-{id}.json")).exists() {
            true => Ok(()),
            false => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// A request from inside.
pub(crate) fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::default(),
        headers: http::HeaderMap::default(),
        extensions: http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.check_object(&req.input.bucket, &req.input.key)?;
        if let Some(condition) = &req.input.if_match {
            let tag = self.tag(&req.input.bucket, &req.input.key).await?;
            let same = |wanted: &ETag| tag.as_ref().is_some_and(|tag| tag.strong_cmp(wanted));
            if !condition.is_any() && !condition.as_etag().is_some_and(same) {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        self.files.get_object(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = req.input.bucket.clone();
        let mut listed = self.files.list_objects_v2(req).await?;
        for object in listed.output.contents.iter_mut().flatten() {
            object.e_tag = self.tag(&bucket, object.key.as_deref().unwrap_or_default()).await?;
        }
        Ok(listed)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.check_upload(&req.input.upload_id)?;
        self.files.upload_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.check_upload(&req.input.upload_id)?;
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.check_upload(&req.input.upload_id)?;
        self.files.abort_multipart_upload(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.check_object(&req.input.bucket, &req.input.key)?;
        self.files.head_object(req).await
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.files.put_object(req).await
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.files.delete_object(req).await
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.files.delete_objects(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.files.create_multipart_upload(req).await
    }
}
